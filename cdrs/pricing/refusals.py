"""Why a CDR cannot be priced."""


class Refused(ValueError):
    """The CDR cannot be priced; `code` names the reason, the message says it in words.

    Codes: no_tariff, unknown_tariff, no_active_tariff, currency_mismatch, time_zone_missing,
    time_zone_invalid, no_charging_period, malformed, out_of_range.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
