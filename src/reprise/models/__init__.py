"""Networks, one module a family; `build` finds the module of a recipe's network by its name."""
