"""One section of a configuration: its own keys, and the settings of the component that it names."""

import functools
from collections.abc import Callable, Mapping
from copy import copy
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    ModelWrapValidatorHandler,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from palimpsest.config.explain import explain_validation, unknown_key
from palimpsest.errors import ConfigurationError
from palimpsest.registry import Component, Registry

_LARGEST_INT = 2**63 - 1

# Both are numbers that a tensor can hold.
PositiveInt = Annotated[int, Field(gt=0, le=_LARGEST_INT)]
NonNegativeInt = Annotated[int, Field(ge=0, le=_LARGEST_INT)]


class Section(BaseModel):
    """One section of a configuration. A key that names a component brings that component's settings with it.

    A section with `selectors` is a union over the registered components: validating or calling it makes an instance of
    a subclass that has the named component's settings as typed fields. The subclass is made when it is first needed,
    because components are imported later than configurations.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    selectors: ClassVar[Mapping[str, Registry[Any]]] = {}
    """The keys that name a component, each with the registry of its components."""
    chosen: ClassVar[Mapping[str, type[Component]]] = {}
    """The component class of each selector; empty in the section as it is declared."""
    declared: ClassVar[type["Section"]]
    """The section as it is declared, without any component's settings."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if not cls.chosen:
            cls.declared = cls

    def __new__(cls, **values: Any) -> Self:
        """Make an instance of the subclass that has the named components' settings."""
        try:
            variant = cls._variant(values)
        except ConfigurationError:
            variant = cls  # Validation explains which name is unknown.
        return super().__new__(variant)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Let a field of the declared type write all fields of the subclass whose instance it holds."""
        schema = handler(source)
        if cls.selectors and not cls.chosen:
            schema["serialization"] = core_schema.simple_ser_schema("any")
        return schema

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Pickle by value: a subclass that was made at run time cannot be imported elsewhere."""
        return self.declared.model_validate, (self.model_dump(),)

    @functools.cached_property
    def packages(self) -> tuple[str, ...]:
        """Name and version of each third-party package whose components are named here, sorted."""
        named = {registry.package_of(getattr(self, key)) for key, registry in self.selectors.items()}
        return tuple(sorted(named - {""}))

    def component(self, selector: str) -> Any:
        """Build the component that a key names, with the settings that the section holds for it.

        Args:
            selector: One of the keys in `selectors`.
        """
        kind = self.chosen[selector]
        return kind(**{name: getattr(self, name) for name in kind.model_fields})

    @model_validator(mode="wrap")
    @classmethod
    def _validate_the_named_component(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if not isinstance(value, Mapping):
            return handler(value)
        try:
            variant = cls._variant(value)
        except ConfigurationError as error:
            raise ValueError(str(error)) from error
        if variant is not cls:
            return variant.model_validate(value)
        known = sorted(cls.model_fields)
        for name in value:
            if name not in cls.model_fields:
                title = cls.declared.__name__.removesuffix("Config").lower()
                raise ValueError(unknown_key(str(name), known, title))
        section = handler(value)
        section._settle(value)
        return section

    def _settle(self, given: Mapping[str, Any]) -> None:
        """Take the settings as the components validate them, and put those that were given first.

        Run folders find finished stages by a section's text, so its order must not change: the section's keys, the
        settings that were given, in the order given, and then the components' defaults.
        """
        values: dict[str, Any] = vars(self)  # The fields of a frozen model can be set nowhere else.
        for selector in self.chosen:
            try:
                component = self.component(selector)
            except ValidationError as error:
                raise ValueError(explain_validation(error)) from error
            values |= {name: getattr(component, name) for name in type(component).model_fields}
        own = self.declared.model_fields
        settings = [*(name for name in given if name not in own), *values]
        for name in dict.fromkeys(name for name in settings if name in values and name not in own):
            values[name] = values.pop(name)

    @classmethod
    def _variant(cls, values: Mapping[str, Any]) -> type[Self]:
        """The subclass with the settings of the components that these values name.

        Raises:
            ConfigurationError: There is no component of a given name.
        """
        if cls.chosen or not cls.selectors:
            return cls
        names = {key: values.get(key, cls.model_fields[key].default) for key in cls.selectors}
        if not all(isinstance(name, str) for name in names.values()):
            return cls  # The field's own type refuses it.
        chosen = tuple((key, names[key], cls.selectors[key].get(names[key])) for key in cls.selectors)
        return _with_settings(cls, chosen)


@functools.cache
def _with_settings(section: type[Section], chosen: tuple[tuple[str, str, type[Component]], ...]) -> Any:
    """A subclass of a section with its components' settings as fields."""
    fields: dict[str, Any] = {}
    for key, name, component in chosen:
        for setting, info in component.model_fields.items():
            if setting in section.model_fields or setting in fields:
                raise ConfigurationError(
                    f"The {section.selectors[key].kind} {name!r} has a setting {setting!r}, which is also a key of "
                    f"{section.__name__}: rename the setting."
                )
            # A secret that a component leaves out of its description is still part of the configuration.
            kept = copy(info)
            kept.exclude = None
            fields[setting] = (info.annotation, kept)
    named = {"chosen": {key: component for key, _, component in chosen}, "__module__": section.__module__}
    base = type(section.__name__, (section,), named)
    # The overloads of create_model take its own options for fields of other types.
    create: Any = create_model
    title = f"{section.__name__}[{', '.join(name for _, name, _ in chosen)}]"
    return create(title, __base__=base, __module__=section.__module__, __doc__=section.__doc__, **fields)
