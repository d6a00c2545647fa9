"""Routes: the toolkit's own at the root, login, consent, and the control endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth.views import LoginView, LogoutView
from django.shortcuts import render
from django.urls import include, path
from oauth2_provider.views import AuthorizationView

from infra.local.authorization_server.control import PASSWORD, control

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


class ConsentView(AuthorizationView):  # type: ignore[misc]
    """The toolkit's consent page with a box for each scope, for the owner to untick (as at Google)."""

    def form_valid(self, form: Any) -> HttpResponse:  # noqa: ANN401
        """Grant what is ticked; a form without boxes grants what was asked for."""
        if "granted" in self.request.POST:
            asked = form.cleaned_data["scope"].split()
            ticked = self.request.POST.getlist("granted")
            form.cleaned_data["scope"] = " ".join(scope for scope in asked if scope in ticked)
        response: HttpResponse = super().form_valid(form)
        return response


def front(request: HttpRequest) -> HttpResponse:
    """Say what this is and who is signed in."""
    return render(request, "front.html")


urlpatterns = [
    path("", front),
    path("login/", LoginView.as_view(template_name="login.html", extra_context={"password": PASSWORD}), name="login"),
    path("logout/", LogoutView.as_view(next_page="login")),
    path("authorize/", ConsentView.as_view()),
    path("_local/<slug:command>", control),
    path("", include("oauth2_provider.urls", namespace="oauth2_provider")),
]
