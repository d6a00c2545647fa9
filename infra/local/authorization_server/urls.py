"""Routes: the toolkit's own at the root, login, consent, and the control endpoint."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import include, path
from oauth2_provider.views import AuthorizationView

from infra.local.authorization_server.control import PASSWORD, control


class ConsentView(AuthorizationView):  # type: ignore[misc]
    """The toolkit's consent page with a box for each scope, for the owner to untick (as at Google)."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Pair each scope with its line."""
        context: dict[str, Any] = super().get_context_data(**kwargs)
        return {**context, "asked": list(zip(context["scopes"], context["scopes_descriptions"], strict=True))}

    def form_valid(self, form: Any) -> HttpResponse:
        """Grant what is ticked; a form without boxes grants what was asked for."""
        if "granted" in self.request.POST:
            asked = form.cleaned_data["scope"].split()
            ticked = self.request.POST.getlist("granted")
            form.cleaned_data["scope"] = " ".join(scope for scope in asked if scope in ticked)
        response: HttpResponse = super().form_valid(form)
        return response


class HintedLoginView(LoginView):  # type: ignore[misc]
    """The login page with the e-mail address filled in that the client hinted at (OpenID Connect `login_hint`)."""

    template_name = "login.html"
    extra_context = {"password": PASSWORD}  # noqa: RUF012 - Django's own convention

    def get_initial(self) -> dict[str, Any]:
        """Take the hint from the authorization request this login interrupts."""
        request = parse_qs(urlsplit(self.request.GET.get("next", "")).query)
        return {**super().get_initial(), "username": request.get("login_hint", [""])[0]}


def front(request: HttpRequest) -> HttpResponse:
    """Say what this is and who is signed in."""
    return render(request, "front.html")


urlpatterns = [
    path("", front),
    path("login/", HintedLoginView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(next_page="login")),
    path("authorize/", ConsentView.as_view()),
    path("_local/<slug:command>", control),
    path("", include("oauth2_provider.urls", namespace="oauth2_provider")),
]
