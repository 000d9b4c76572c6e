"""What a run is asked to do: settings, YAML files, targets."""
