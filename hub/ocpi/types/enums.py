"""The enumerations of OCPI 2.2.1, all of them closed and case-sensitive."""

from typing import Literal

AllowedType = Literal[
    "ALLOWED",
    "BLOCKED",
    "EXPIRED",
    "NO_CREDIT",
    "NOT_ALLOWED",
]
AuthMethod = Literal[
    "AUTH_REQUEST",
    "COMMAND",
    "WHITELIST",
]
Capability = Literal[
    "CHARGING_PROFILE_CAPABLE",
    "CHARGING_PREFERENCES_CAPABLE",
    "CHIP_CARD_SUPPORT",
    "CONTACTLESS_CARD_SUPPORT",
    "CREDIT_CARD_PAYABLE",
    "DEBIT_CARD_PAYABLE",
    "PED_TERMINAL",
    "REMOTE_START_STOP_CAPABLE",
    "RESERVABLE",
    "RFID_READER",
    "START_SESSION_CONNECTOR_REQUIRED",
    "TOKEN_GROUP_CAPABLE",
    "UNLOCK_CAPABLE",
]
CdrDimensionType = Literal[
    "CURRENT",
    "ENERGY",
    "ENERGY_EXPORT",
    "ENERGY_IMPORT",
    "MAX_CURRENT",
    "MIN_CURRENT",
    "MAX_POWER",
    "MIN_POWER",
    "PARKING_TIME",
    "POWER",
    "RESERVATION_TIME",
    "STATE_OF_CHARGE",
    "TIME",
]
ChargingPreferencesResponse = Literal[
    "ACCEPTED",
    "DEPARTURE_REQUIRED",
    "ENERGY_NEED_REQUIRED",
    "NOT_POSSIBLE",
    "PROFILE_TYPE_NOT_SUPPORTED",
]
ChargingProfileResponseType = Literal[
    "ACCEPTED",
    "NOT_SUPPORTED",
    "REJECTED",
    "TOO_OFTEN",
    "UNKNOWN_SESSION",
]
ChargingProfileResultType = Literal[
    "ACCEPTED",
    "REJECTED",
    "UNKNOWN",
]
ChargingRateUnit = Literal[
    "W",
    "A",
]
CommandResponseType = Literal[
    "NOT_SUPPORTED",
    "REJECTED",
    "ACCEPTED",
    "UNKNOWN_SESSION",
]
CommandResultType = Literal[
    "ACCEPTED",
    "CANCELED_RESERVATION",
    "EVSE_OCCUPIED",
    "EVSE_INOPERATIVE",
    "FAILED",
    "NOT_SUPPORTED",
    "REJECTED",
    "TIMEOUT",
    "UNKNOWN_RESERVATION",
]
CommandType = Literal[
    "CANCEL_RESERVATION",
    "RESERVE_NOW",
    "START_SESSION",
    "STOP_SESSION",
    "UNLOCK_CONNECTOR",
]
ConnectionStatus = Literal[
    "CONNECTED",
    "OFFLINE",
    "PLANNED",
    "SUSPENDED",
]
ConnectorFormat = Literal[
    "SOCKET",
    "CABLE",
]
ConnectorType = Literal[
    "CHADEMO",
    "CHAOJI",
    "DOMESTIC_A",
    "DOMESTIC_B",
    "DOMESTIC_C",
    "DOMESTIC_D",
    "DOMESTIC_E",
    "DOMESTIC_F",
    "DOMESTIC_G",
    "DOMESTIC_H",
    "DOMESTIC_I",
    "DOMESTIC_J",
    "DOMESTIC_K",
    "DOMESTIC_L",
    "DOMESTIC_M",
    "DOMESTIC_N",
    "DOMESTIC_O",
    "GBT_AC",
    "GBT_DC",
    "IEC_60309_2_single_16",
    "IEC_60309_2_three_16",
    "IEC_60309_2_three_32",
    "IEC_60309_2_three_64",
    "IEC_62196_T1",
    "IEC_62196_T1_COMBO",
    "IEC_62196_T2",
    "IEC_62196_T2_COMBO",
    "IEC_62196_T3A",
    "IEC_62196_T3C",
    "NEMA_5_20",
    "NEMA_6_30",
    "NEMA_6_50",
    "NEMA_10_30",
    "NEMA_10_50",
    "NEMA_14_30",
    "NEMA_14_50",
    "PANTOGRAPH_BOTTOM_UP",
    "PANTOGRAPH_TOP_DOWN",
    "TESLA_R",
    "TESLA_S",
]
DayOfWeek = Literal[
    "MONDAY",
    "TUESDAY",
    "WEDNESDAY",
    "THURSDAY",
    "FRIDAY",
    "SATURDAY",
    "SUNDAY",
]
EnergySourceCategory = Literal[
    "NUCLEAR",
    "GENERAL_FOSSIL",
    "COAL",
    "GAS",
    "GENERAL_GREEN",
    "SOLAR",
    "WIND",
    "WATER",
]
EnvironmentalImpactCategory = Literal[
    "NUCLEAR_WASTE",
    "CARBON_DIOXIDE",
]
Facility = Literal[
    "HOTEL",
    "RESTAURANT",
    "CAFE",
    "MALL",
    "SUPERMARKET",
    "SPORT",
    "RECREATION_AREA",
    "NATURE",
    "MUSEUM",
    "BIKE_SHARING",
    "BUS_STOP",
    "TAXI_STAND",
    "TRAM_STOP",
    "METRO_STATION",
    "TRAIN_STATION",
    "AIRPORT",
    "PARKING_LOT",
    "CARPOOL_PARKING",
    "FUEL_STATION",
    "WIFI",
]
ImageCategory = Literal[
    "CHARGER",
    "ENTRANCE",
    "LOCATION",
    "NETWORK",
    "OPERATOR",
    "OTHER",
    "OWNER",
]
InterfaceRole = Literal[
    "SENDER",
    "RECEIVER",
]
ModuleID = Literal[
    "cdrs",
    "chargingprofiles",
    "commands",
    "credentials",
    "hubclientinfo",
    "locations",
    "sessions",
    "tariffs",
    "tokens",
]
ParkingRestriction = Literal[
    "EV_ONLY",
    "PLUGGED",
    "DISABLED",
    "CUSTOMERS",
    "MOTORCYCLES",
]
ParkingType = Literal[
    "ALONG_MOTORWAY",
    "PARKING_GARAGE",
    "PARKING_LOT",
    "ON_DRIVEWAY",
    "ON_STREET",
    "UNDERGROUND_GARAGE",
]
PowerType = Literal[
    "AC_1_PHASE",
    "AC_2_PHASE",
    "AC_2_PHASE_SPLIT",
    "AC_3_PHASE",
    "DC",
]
ProfileType = Literal[
    "CHEAP",
    "FAST",
    "GREEN",
    "REGULAR",
]
ReservationRestrictionType = Literal[
    "RESERVATION",
    "RESERVATION_EXPIRES",
]
Role = Literal[
    "CPO",
    "EMSP",
    "HUB",
    "NAP",
    "NSP",
    "OTHER",
    "SCSP",
]
SessionStatus = Literal[
    "ACTIVE",
    "COMPLETED",
    "INVALID",
    "PENDING",
    "RESERVATION",
]
Status = Literal[
    "AVAILABLE",
    "BLOCKED",
    "CHARGING",
    "INOPERATIVE",
    "OUTOFORDER",
    "PLANNED",
    "REMOVED",
    "RESERVED",
    "UNKNOWN",
]
TariffDimensionType = Literal[
    "ENERGY",
    "FLAT",
    "PARKING_TIME",
    "TIME",
]
TariffType = Literal[
    "AD_HOC_PAYMENT",
    "PROFILE_CHEAP",
    "PROFILE_FAST",
    "PROFILE_GREEN",
    "REGULAR",
]
TokenType = Literal[
    "AD_HOC_USER",
    "APP_USER",
    "OTHER",
    "RFID",
]
VersionNumber = Literal[
    "2.0",
    "2.1",
    "2.1.1",
    "2.2",
    "2.2.1",
]
WhitelistType = Literal[
    "ALWAYS",
    "ALLOWED",
    "ALLOWED_OFFLINE",
    "NEVER",
]
