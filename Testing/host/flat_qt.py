"""``qt`` as PythonQt offers it, made of PySide6.

One flat namespace; a Q_PROPERTY is a Python property, so that ``button.text()`` fails as it does in Slicer; a C++ object takes
no new Python attribute; ``name`` is another word for ``objectName``.
"""

import types
from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

# Getters that C++ calls back as virtual functions: a property of that name would call itself without end.
_VIRTUAL = {"sizeHint", "minimumSizeHint"}


def make_qt(loader: type) -> types.ModuleType:
    """The module ``qt``; ``loader`` takes the place of QUiLoader."""
    qt = types.ModuleType("qt")
    for source in (QtCore, QtGui, QtWidgets):
        for name in dir(source):
            if not name.startswith("_"):
                value = getattr(source, name)
                setattr(qt, name, value)
                if isinstance(value, type) and issubclass(value, QtCore.QObject):
                    _as_in_python_qt(value)
    QtCore.QObject.name = property(lambda self: self.objectName, lambda self, text: self.setObjectName(text))
    QtCore.QObject.className = lambda self: self.metaObject().className()
    qt.QUiLoader = loader
    return qt


def _as_in_python_qt(cls: type) -> None:
    meta = cls.staticMetaObject
    for index in range(meta.propertyOffset(), meta.propertyCount()):
        declared = meta.property(index)
        if declared.name() not in _VIRTUAL:
            setattr(cls, declared.name(), _python_property(declared.name(), declared.isWritable()))
    cls.__setattr__ = _set_attribute


def _python_property(name: str, writable: bool) -> property:
    def read(self: QtCore.QObject) -> Any:
        return QtCore.QObject.property(self, name)

    def write(self: QtCore.QObject, value: Any) -> None:
        QtCore.QObject.setProperty(self, name, value)

    return property(read, write if writable else None)


def _set_attribute(self: QtCore.QObject, name: str, value: Any) -> None:
    cls = type(self)
    found = next((base.__dict__[name] for base in cls.__mro__ if name in base.__dict__), None)
    if isinstance(found, QtCore.Property):
        QtCore.QObject.setProperty(self, name, value)
    elif hasattr(found, "__set__"):
        found.__set__(self, value)
    elif cls.__module__.startswith("PySide6") and not isinstance(value, QtCore.SignalInstance):  # PySide keeps those here
        raise AttributeError(f"{cls.__name__} has no property {name!r}, and a C++ object takes no new attribute")
    else:
        self.__dict__[name] = value
