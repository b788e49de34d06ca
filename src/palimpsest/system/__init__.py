"""Machine and process: memory, devices, Ray, telemetry, torchvision, imports by name."""
