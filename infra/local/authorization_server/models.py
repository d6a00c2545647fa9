"""The toolkit's application model with the switches that its settings have only for the whole server."""

from __future__ import annotations

from django.db import models
from oauth2_provider.models import AbstractApplication


class Client(AbstractApplication):  # type: ignore[misc]
    """An OAuth client and how its tokens behave."""

    scopes = models.TextField(default="openid email profile")
    rotates_refresh_tokens = models.BooleanField(default=False)
    grace_seconds = models.FloatField(default=0.0)
    reuse_protection = models.BooleanField(default=False)
    access_token_seconds = models.IntegerField(default=3600)

    class Meta(AbstractApplication.Meta):  # type: ignore[misc]
        """Django wants the label spelt out."""

        app_label = "authorization_server"
