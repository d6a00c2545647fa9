"""The re-consent workflow: from a link to a new grant under the same name."""
