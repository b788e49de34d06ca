"use strict";

function startSorting(table) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const compare = (one, other) => {
    const [a, b] = [Number(one), Number(other)];
    return Number.isNaN(a) || Number.isNaN(b) ? one.localeCompare(other) : a - b;
  };
  heads.forEach((head, column) =>
    head.querySelector("button").addEventListener("click", () => {
      const falling = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const value = (row) => row.cells[column].dataset.value;
      // Missing values come last in either order.
      const absent = (row) => Number(value(row) === "");
      const order = (one, other) => (falling ? -1 : 1) * compare(value(one), value(other));
      [...body.rows]
        .sort((one, other) => absent(one) - absent(other) || order(one, other))
        .forEach((row) => body.append(row));
    }),
  );
}

document.querySelectorAll("table.sortable").forEach(startSorting);
