curl -X PUT {{ hub.base_url }}/ocpi/2.2/locations/LOC_123 \
  -H "Authorization: Token YOUR_CRED_TOKEN" -H "Content-Type: application/json" \
  -d '{"id": "LOC_123", "type": "ON_STREET", "name": "Downtown Charger 1", "address": "123 Main St",
       "city": "Paris", "country": "FRA", "coordinates": {"latitude": "48.8566", "longitude": "2.3522"},
       "evses": [{"uid": "EVSE_1", "status": "AVAILABLE", "last_updated": "2024-03-15T12:00:00Z",
         "connectors": [{"id": "1", "standard": "IEC_62196_T2", "format": "SOCKET",
           "power_type": "AC_3_PHASE", "max_voltage": 230, "max_amperage": 32,
           "tariff_ids": ["TARIFF_1"], "last_updated": "2024-03-15T12:00:00Z"}]}]}'
