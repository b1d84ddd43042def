"""Every picture and the offline report: SVG and HTML as text, no server."""
