"""The machine and the process: memory, devices, Ray, telemetry, torchvision, imports by name."""
