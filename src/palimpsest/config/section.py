"""One part of a configuration: its own keys, and those of the components that it names."""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from palimpsest.config.explain import LONGEST_VALUE, explain_validation
from palimpsest.errors import ConfigurationError
from palimpsest.registry import Component, Registry, closest

_LARGEST_INT = 2**63 - 1

# Both are numbers that a tensor can hold.
PositiveInt = Annotated[int, Field(gt=0, le=_LARGEST_INT)]
NonNegativeInt = Annotated[int, Field(ge=0, le=_LARGEST_INT)]


class Section(BaseModel):
    """One part of the configuration; a key that names a component brings that component's settings with it."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True, allow_inf_nan=False)

    selectors: ClassVar[Mapping[str, Registry[Any]]] = {}
    """Which keys name a component, and where it is looked up."""

    @cached_property
    def components(self) -> Mapping[str, Any]:
        """The component that each selecting key names, with its settings."""
        return {key: self._build(key) for key in self.selectors}

    @cached_property
    def packages(self) -> tuple[str, ...]:
        """Name and version of each package of third parties whose components are named here, sorted."""
        named = {registry.package_of(getattr(self, key)) for key, registry in self.selectors.items()}
        return tuple(sorted(named - {""}))

    @model_validator(mode="after")
    def _settings_belong_to_a_component(self) -> Self:
        try:
            accepted = {
                key: set(registry.get(getattr(self, key)).model_fields)
                for key, registry in self.selectors.items()
            }
        except ConfigurationError as error:
            raise ValueError(str(error)) from error
        known = sorted({*type(self).model_fields, *set().union(*accepted.values())})
        for name in self.model_extra or {}:
            if name not in known:
                raise ValueError(f"{name[:LONGEST_VALUE]!r} is not a key here: {closest(name, known)}")
        extra = self.model_extra
        assert extra is not None, "a section keeps its components' settings as extra keys"
        for component in self.components.values():
            # Settings that were left out are filled in, so that a stored configuration is complete.
            for name in type(component).model_fields:
                extra[name] = getattr(component, name)
        return self

    def _build(self, key: str) -> Component:
        component = self.selectors[key].get(getattr(self, key))
        extra = self.model_extra or {}
        try:
            return component(**{name: extra[name] for name in component.model_fields if name in extra})
        except ValidationError as error:
            raise ValueError(explain_validation(error)) from error
