"""Reports: results as text, JSON, SARIF, JUnit, annotations. Nothing here reads files or prints."""
