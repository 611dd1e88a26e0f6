curl -X PUT {{ hub.base_url }}/ocpi/2.2/tariffs/TARIFF_1 \
  -H "Authorization: Token YOUR_CRED_TOKEN" -H "Content-Type: application/json" \
  -d '{"id": "TARIFF_1", "currency": "EUR", "last_updated": "2024-03-15T12:00:00Z",
       "elements": [{"price_components": [
         {"type": "FLAT", "price": 1.35, "vat": 20.0, "step_size": 1},
         {"type": "ENERGY", "price": 0.30, "vat": 20.0, "step_size": 1}]}]}'
