"""params.yaml as typed, frozen values; one module a stage, so that an edit touches one stage."""
