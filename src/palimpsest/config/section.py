"""Base class of a configuration's sections, which combine their own keys with the settings of named components."""

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

# The upper limit is that of an int64 tensor.
PositiveInt = Annotated[int, Field(gt=0, le=_LARGEST_INT)]
NonNegativeInt = Annotated[int, Field(ge=0, le=_LARGEST_INT)]


class Section(BaseModel):
    """One section of a configuration, with its own keys and the settings of the components that it names.

    A section with `selectors` is a union over the registered components: validating or calling it creates an instance
    of a subclass that has the named components' settings as typed fields. The subclass is created when it is first
    needed, because components are imported later than configurations.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    selectors: ClassVar[Mapping[str, Registry[Any]]] = {}
    """The keys that name a component, each with the registry of its components."""
    only_with: ClassVar[Mapping[str, Mapping[str, tuple[str, ...]]]] = {}
    """Keys that have a meaning only beside a certain value of another key: by that key, and by its value."""
    chosen: ClassVar[Mapping[str, type[Component]]] = {}
    """The component class of each selector; empty in the declared section."""
    declared: ClassVar[type["Section"]]
    """The declared section, without any component's settings."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Remember the declared section; the subclasses made for components inherit it."""
        super().__init_subclass__(**keywords)
        if not cls.chosen:
            cls.declared = cls

    def __new__(cls, **values: Any) -> Self:
        """Create an instance of the subclass that has the named components' settings."""
        try:
            variant = cls._variant(values)
        except ConfigurationError:
            variant = cls  # Validation reports the unknown name.
        return super().__new__(variant)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Make a field of the declared type serialize all fields of the subclass whose instance it holds."""
        schema = handler(source)
        if cls.selectors and not cls.chosen:
            schema["serialization"] = core_schema.simple_ser_schema("any")
        return schema

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Pickle by value, because another process can't import a subclass that was made at run time."""
        return self.declared.model_validate, (self.model_dump(),)

    @functools.cached_property
    def packages(self) -> tuple[str, ...]:
        """Name and version of each third-party package whose components the section names, sorted."""
        named = {registry.package_of(getattr(self, key)) for key, registry in self.selectors.items()}
        return tuple(sorted(named - {""}))

    def component(self, selector: str) -> Any:
        """Build the component that a key names, with its settings from the section.

        Args:
            selector: One of the keys in `selectors`.
        """
        kind = self.chosen[selector]
        return kind(**{name: getattr(self, name) for name in kind.model_fields})

    @model_validator(mode="wrap")
    @classmethod
    def _validate_with_component(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if not isinstance(value, Mapping):
            return handler(value)
        try:
            variant = cls._variant(value)
        except ConfigurationError as error:
            raise ValueError(str(error)) from error
        if variant is not cls:
            return variant.model_validate(value)
        for name in value:
            if name not in cls.model_fields:
                raise ValueError(cls._unknown_key(str(name), value))
        section = handler(value)
        section._store_settings(value)
        return section

    @classmethod
    def _unknown_key(cls, key: str, given: Mapping[str, Any]) -> str:
        """Return the message about a key that neither the section nor its chosen components have."""
        for selector, registry in cls.selectors.items():
            owners = [name for name, component in registry if key in component.model_fields]
            if owners:
                chosen = given.get(selector, cls.declared.model_fields[selector].default)
                return f"{key!r} is not a setting of {chosen}: give it with {selector} set to {' or '.join(owners)}."
        title = cls.declared.__name__.removesuffix("Config").lower()
        return unknown_key(key, sorted(cls.model_fields), title)

    def _store_settings(self, given: Mapping[str, Any]) -> None:
        """Store the settings as the components validated them, in a fixed order.

        Run folders find finished stages by the text of a section, so its order must not change: the section's keys, the
        given settings in the order given, and then the components' defaults.
        """
        values: dict[str, Any] = vars(self)  # A frozen model's fields can be set only here.
        for selector in self.chosen:
            try:
                component = self.component(selector)
            except ValidationError as error:
                raise ValueError(explain_validation(error)) from error
            values |= {name: getattr(component, name) for name in type(component).model_fields}
        section_keys = self.declared.model_fields
        settings = [*(name for name in given if name not in section_keys), *values]
        for name in dict.fromkeys(name for name in settings if name in values and name not in section_keys):
            values[name] = values.pop(name)

    @classmethod
    def _variant(cls, values: Mapping[str, Any]) -> type[Self]:
        """Return the subclass with the settings of the components that the values name.

        Raises:
            ConfigurationError: A component's name is unknown.
        """
        if cls.chosen or not cls.selectors:
            return cls
        names = {key: values.get(key, cls.model_fields[key].default) for key in cls.selectors}
        if not all(isinstance(name, str) for name in names.values()):
            return cls  # Validation of the field refuses a name that is not a string.
        chosen = tuple((key, names[key], cls.selectors[key].get(names[key])) for key in cls.selectors)
        return _with_settings(cls, chosen)


@functools.cache
def _with_settings(section: type[Section], chosen: tuple[tuple[str, str, type[Component]], ...]) -> Any:
    """Create a subclass of a section with its components' settings as fields."""
    fields: dict[str, Any] = {}
    for key, name, component in chosen:
        for setting, info in component.model_fields.items():
            if setting in section.model_fields or setting in fields:
                raise ConfigurationError(
                    f"The {section.selectors[key].kind} {name!r} has a setting {setting!r}, which is also a key of "
                    f"{section.__name__}: rename the setting."
                )
            # A component may exclude a secret from its own dump, but the configuration needs it.
            field = copy(info)
            field.exclude = None
            fields[setting] = (info.annotation, field)
    named = {"chosen": {key: component for key, _, component in chosen}, "__module__": section.__module__}
    base = type(section.__name__, (section,), named)
    # Type checkers take the fields for options of create_model.
    create: Any = create_model
    title = f"{section.__name__}[{', '.join(name for _, name, _ in chosen)}]"
    return create(title, __base__=base, __module__=section.__module__, __doc__=section.__doc__, **fields)
