"""TensorBoard, Weights & Biases and MLflow as callbacks."""
