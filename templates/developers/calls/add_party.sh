./ocn manage add_party {{ guide.country_code }} {{ guide.party_id }} {{ guide.role }} "{{ guide.name }}" --dialect quickstart
