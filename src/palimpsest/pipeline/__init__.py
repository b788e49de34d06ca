"""The stories of an audit and of an attack, and the stages that they are made of."""
