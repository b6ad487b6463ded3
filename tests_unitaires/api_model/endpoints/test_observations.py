from fastapi.testclient import TestClient


def test_observations_are_the_newest_fortnight_or_the_range(client: TestClient) -> None:
    newest = client.get("/stations/Sydney/observations").json()
    assert [newest[0]["date"], newest[-1]["date"], len(newest)] == ["2020-01-17", "2020-01-30", 14]
    some = client.get("/stations/Sydney/observations", params={"start": "2020-01-02", "end": "2020-01-03"}).json()
    assert [day["date"] for day in some] == ["2020-01-02", "2020-01-03"]
    assert client.get("/stations/Hobart/observations").json() == []
    assert client.get("/stations/Nowhere/observations").status_code == 422


def test_stations_say_how_new_their_observations_are(client: TestClient) -> None:
    latest = {place["name"]: place["latest"] for place in client.get("/stations").json()}
    assert len(latest) == 49
    assert (latest["Sydney"], latest["Hobart"]) == ("2020-01-30", None)


def test_a_stored_day_says_where_it_came_from_and_what_is_suspect(client: TestClient) -> None:
    day = client.get("/stations/Sydney/observations").json()[-1]
    assert (day["source"], day["product"], day["site"]) == ("demo", "IDCJDW2124", "066214")
    assert day["flags"] == [{"field": "wind_speed_3pm", "kind": "range", "detail": "windy"}]
    assert day["observation"]["sunshine"] is None


def test_data_quality_counts_field_by_field(client: TestClient, admin: dict[str, str]) -> None:
    perth, sydney = client.get("/data-quality", headers=admin).json()
    assert (sydney["station"], sydney["days"]) == ("Sydney", 30)
    assert sydney["fields"]["wind_speed_3pm"] == {"missing": 0, "flagged": 1, "latest": "2020-01-30"}
    assert perth["fields"]["sunshine"] == {"missing": 30, "flagged": 0, "latest": None}
