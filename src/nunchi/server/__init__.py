"""The composition root of the server: settings, wiring, reload, lifecycle. Concrete classes meet here alone."""
