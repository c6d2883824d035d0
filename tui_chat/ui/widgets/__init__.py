"""The pieces of the screen. Messages go up, attributes come down; no widget knows the app's type."""
