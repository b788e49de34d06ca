"""The stages of an audit and of an attack, one file for each."""
