"""TensorFlow APIs for scripts that used them."""
