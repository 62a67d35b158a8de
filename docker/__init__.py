"""How the application is built, run and watched; of Python, the audit of its dependencies."""
