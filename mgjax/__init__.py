"""mgjax: TensorFlow 1 models on JAX."""
