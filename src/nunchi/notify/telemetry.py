"""Numbers about notifications, under the names that dashboards for Alertmanager ask for."""

from nunchi.kit.telemetry import Telemetry

LATENCY_BOUNDS = (1.0, 5.0, 10.0, 15.0, 20.0)


class NotifyTelemetry:
    """Made once per process; parts of the notifier count on it."""

    def __init__(self, telemetry: Telemetry) -> None:
        counter, gauge = telemetry.counter, telemetry.gauge
        self.received = counter("alertmanager_alerts_received_total", "Alerts taken in.", "status")
        self.invalid = counter("alertmanager_alerts_invalid_total", "Alerts refused.")
        self.limited = counter("alertmanager_alerts_limited_total", "Alerts dropped because too many are known.")
        self.alerts = gauge("alertmanager_alerts", "Alerts known, by state.", "state")
        self.notifications = counter("alertmanager_notifications_total", "Notifications attempted.", "integration")
        self.failed = counter(
            "alertmanager_notifications_failed_total", "Notifications given up.", "integration", "reason"
        )
        self.requests = counter(
            "alertmanager_notification_requests_total", "Requests to receivers, retries included.", "integration"
        )
        self.requests_failed = counter(
            "alertmanager_notification_requests_failed_total", "Requests to receivers that failed.", "integration"
        )
        self.latency = telemetry.histogram(
            "alertmanager_notification_latency_seconds",
            "How long a request to a receiver took.",
            "integration",
            bounds=LATENCY_BOUNDS,
        )
        self.suppressed = counter(
            "alertmanager_notifications_suppressed_total", "Alerts kept from receivers, by cause.", "reason"
        )
        self.alert_groups = gauge("alertmanager_dispatcher_aggregation_groups", "Alert groups that exist.")
        self.alert_groups_dropped = counter(
            "alertmanager_dispatcher_aggregation_group_limit_reached_total", "Alert groups not made: too many."
        )
        self.silences = gauge("alertmanager_silences", "Silences, by state.", "state")
        self.receivers = gauge("alertmanager_receivers", "Receivers configured.")
        self.integrations = gauge("alertmanager_integrations", "Integrations configured.")
        self.inhibition_rules = gauge("alertmanager_inhibition_rules", "Inhibition rules configured.")
