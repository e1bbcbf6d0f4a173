"""Image data: sources, transforms applied once, and batches on the device."""
