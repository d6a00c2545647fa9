"""What a reason asks of operators: what to do, where, and the runbook's section on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote

# Headings of docs/runbook.md.
CONSENT: Final = "A connection needs consent"
CLIENT: Final = "A client is rejected"
FAILING: Final = "Refreshing fails"

_CONSOLE: Final = "https://console.cloud.google.com"
# https://support.google.com/a/answer/7281227 (API controls), /a/answer/162106 (domain-wide delegation)
_API_CONTROLS: Final = "https://admin.google.com/ac/owl"
_DELEGATION: Final = "https://admin.google.com/ac/owl/domainwidedelegation"
_AUDIENCE: Final = _CONSOLE + "/auth/audience?project={project}"
_SECRET: Final = _CONSOLE + "/security/secret-manager/secret/{secret}/versions?project={project}"
_QUOTAS: Final = _CONSOLE + "/apis/api/secretmanager.googleapis.com/quotas?project={project}"
_LOGS: Final = _CONSOLE + "/logs/query;query=jsonPayload.connection%3D%22{connection}%22?project={project}"
_DEVELOPERS: Final = "{developers}"

# Where an OAuth client is registered, by provider; a longer key such as `zoho-eu` falls back on its beginning.
DEVELOPER_CONSOLES: Final[Mapping[str, str]] = {
    "airtable": "https://airtable.com/create/oauth",
    "asana": "https://app.asana.com/0/my-apps",
    "atlassian": "https://developer.atlassian.com/console/myapps/",
    "box": "https://app.box.com/developers/console",
    "calendly": "https://developer.calendly.com/",
    "discord": "https://discord.com/developers/applications",
    "docusign": "https://apps.docusign.com/",
    "dropbox": "https://www.dropbox.com/developers/apps",
    "figma": "https://www.figma.com/developers/apps",
    "fitbit": "https://dev.fitbit.com/apps",
    "github": "https://github.com/settings/apps",
    "google": _CONSOLE + "/auth/clients",
    "hubspot": "https://app.hubspot.com/",
    "linear": "https://linear.app/settings/api",
    "linkedin": "https://www.linkedin.com/developers/apps",
    "meta": "https://developers.facebook.com/apps/",
    "microsoft": "https://entra.microsoft.com/#view/Microsoft_AAD_RegisteredApps/ApplicationsListBlade",
    "notion": "https://www.notion.so/profile/integrations",
    "quickbooks": "https://developer.intuit.com/app/developer/dashboard",
    "reddit": "https://www.reddit.com/prefs/apps",
    "slack": "https://api.slack.com/apps",
    "spotify": "https://developer.spotify.com/dashboard",
    "strava": "https://www.strava.com/settings/api",
    "twitch": "https://dev.twitch.tv/console/apps",
    "x": "https://developer.x.com/en/portal/dashboard",
    "xero": "https://developer.xero.com/app/manage",
    "zoho": "https://api-console.zoho.com/",
    "zoom": "https://marketplace.zoom.us/user/build",
}


@dataclass(frozen=True, slots=True)
class Fix:
    """What would mend it: what to do, where (a link or empty), and the runbook's section on it (a heading or empty)."""

    do: str
    where: str = ""
    section: str = ""

    @property
    def anchor(self) -> str:
        """Return the section's anchor, as GitHub makes it of the heading."""
        return self.section.lower().replace(" ", "-")


_FORWARD: Final = "Wait for the owner; if the message cannot have reached them, forward the link below."
_CHECK_CLIENT: Final = (
    "Check the client at the provider, then store its id and secret as a new version of the registration: everything "
    "is retried at once."
)
_SESSION: Final = (
    "Expect it again: the organisation ends sessions on a schedule. To make it last, exempt the app from session "
    "control (admin.google.com > Security > Access and data control > Google Cloud session control), or use a service "
    "account (docs/security.md)."
)
_ADMIN: Final = (
    "Ask an administrator of the organisation to allow the client id and its scopes; at Google: admin.google.com > "
    "Security > Access and data control > API controls > Manage app access."
)
_PUBLISH: Final = (
    "Publish the app first (Audience > Publishing status > In production), then let owners consent: as long as it is "
    "in Testing, every permission ends after seven days."
)
_CONFIGURE: Final = "Correct what the message names; it is looked at again in each run."
_WAIT: Final = "Look at the provider's status page. It will be retried automatically."
_KEY: Final = "Create a new key of the service account and store it as a new version of the connection secret."
_QUOTA: Final = (
    "Check that the function may still use the secret, and that the project's quota of Secret Manager is not used up."
)

# Section of the runbook -> reason -> what to do, and where.
_FIXES: Final[Mapping[str, Mapping[str, tuple[str, str]]]] = {
    CONSENT: {
        "revoked_or_expired": (_FORWARD, ""),
        "never_consented": (_FORWARD, ""),
        "testing_mode_expiry": (_PUBLISH, _AUDIENCE),
        "idle_expiry": (
            f"Find out why it was not refreshed for so long (paused, or the Scheduler off?). {_FORWARD}",
            _LOGS,
        ),
        "lost_rotation": (_FORWARD, _LOGS),
        "refresh_token_reused": (
            f"Find what else uses this refresh token (a laptop, another project) and stop it. {_FORWARD}",
            "",
        ),
        "consent_expiring": (_FORWARD, ""),
        "revoked_by_operator": (
            (
                "If it is needed again, send the owner the link from the status page; otherwise pause or delete the "
                "connection."
            ),
            "",
        ),
        "reauth_required": (f"{_FORWARD} {_SESSION}", ""),
    },
    CLIENT: {
        "admin_policy_enforced": (_ADMIN, _API_CONTROLS),
        "org_internal": (
            "Set the audience of the OAuth client to External, or let an account of its own organisation consent.",
            _AUDIENCE,
        ),
        "access_denied": (
            (
                "Ask an administrator of the account's organisation to allow this client; see the answer above for who "
                "is refused."
            ),
            _DEVELOPERS,
        ),
        "invalid_client": (_CHECK_CLIENT, _DEVELOPERS),
        "unauthorized_client": (
            (
                "Allow the client this grant type and these accounts at the provider; for a service account, list its "
                "client id and scopes under domain-wide delegation."
            ),
            _DEVELOPERS,
        ),
        "deleted_client": (
            (
                "Restore the client at the provider, or create another one and store it: owners then have to consent "
                "again."
            ),
            _DEVELOPERS,
        ),
        "disabled_client": ("Enable the client at the provider; the account's mail may say why.", _DEVELOPERS),
        "mass_invalid_grant": (
            (
                "Check whether the client, its consent or its account was changed at the provider, before owners are "
                "asked."
            ),
            _DEVELOPERS,
        ),
        "invalid_scope": (
            "Correct the annotation token-refresh.scopes, or allow the client these scopes at the provider.",
            _DEVELOPERS,
        ),
        "invalid_request": (
            "Compare the provider's answer with its definition (`token-refresh providers check FILE`).",
            _LOGS,
        ),
        "unsupported_grant_type": ("Use another grant: the provider does not offer this one to the client.", ""),
        "clock_skew": ("Set the clock of the machine that the function runs on.", ""),
        "unknown_account": (_KEY, _SECRET),
        "disabled_key": (_KEY, _SECRET),
        "unknown_subject": (
            "Correct the annotation token-refresh.owner: the user that the service account stands for does not exist.",
            _DELEGATION,
        ),
        "invalid_grant": (
            "Store new credentials as a new version of the connection secret; no owner can mend this one.",
            _SECRET,
        ),
        "misconfigured": (_CONFIGURE, _SECRET),
    },
    FAILING: {
        "secret_manager": (_QUOTA, _QUOTAS),
        "lease_held": (
            (
                "See which instance holds the lease, and whether it is alive. A lease ends after LEASE_SECONDS without "
                "help."
            ),
            _SECRET,
        ),
        "rotated_token_not_saved": (
            (
                "Restore the function's permission to add versions to the secret. Do not deploy and do not stop the "
                "instance: it holds the only copy of the new refresh token."
            ),
            _SECRET,
        ),
        "internal_error": ("Report the defect with the log lines of this connection.", _LOGS),
        "refresh_failing": (_WAIT, ""),
    },
}
_BY_REASON: Final = {reason: Fix(*fix, section) for section, fixes in _FIXES.items() for reason, fix in fixes.items()}
_UNKNOWN: Final = Fix(
    "Look the provider's error code up in its documentation, and check the client.", _DEVELOPERS, CLIENT
)
REASONS: Final = frozenset(_BY_REASON)


def find_fix(reason: str, *, project: str, provider: str = "", connection: str = "", secret: str = "") -> Fix:
    """Say what a reason asks of operators; an unknown one is a provider's own error code.

    A link that names a fact which is not known (`secret` of a client event) is left out.
    """
    fix = _BY_REASON.get(reason, _UNKNOWN)
    facts = {"project": project, "connection": connection, "secret": secret}
    facts = {name: quote(value, safe="") for name, value in facts.items()}
    facts["developers"] = developer_console(provider)
    known = all(value for name, value in facts.items() if f"{{{name}}}" in fix.where)
    return replace(fix, where=fix.where.format(**facts) if known else "")


def developer_console(provider: str) -> str:
    """Return where the OAuth clients of a provider are registered; empty for one that is not known."""
    return DEVELOPER_CONSOLES.get(provider) or DEVELOPER_CONSOLES.get(provider.partition("-")[0], "")
