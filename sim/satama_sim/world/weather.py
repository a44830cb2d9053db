"""Weather over the cabinet: season, hour and cloud give air temperature and sun.

A plain model of 60.2 degrees north: hourly values, straight lines between them, one set a minute.
"""

from math import isqrt
from typing import NamedTuple

from .signals import PPB, Wander, cosine, sine

LOCAL_OFFSET_S = 2 * 3600  # street time: UTC+2 all year round
_YEAR_S = 31_556_952
_EPOCH_2000 = 946_684_800
_SIN_LATITUDE, _COS_LATITUDE = sine(602), cosine(602)
_CLEAR_SKY_MW_M2 = 1_000_000


class Sky(NamedTuple):
    temperature: int  # air, in 0.001 Cel
    sun: int  # on a level surface, in mW/m2
    cloud: int  # permille


class Weather:
    """`at(step)` is the sky at that second (one value a minute from second 0), `hour(step)` the local hour."""

    def __init__(self, seed: int, start_unix_s: int):
        self._local_start = start_unix_s + LOCAL_OFFSET_S
        self._cloud = Wander(seed, "weather/cloud", -200, 1100, 3 * 3600)
        self._air_mass = Wander(seed, "weather/air-mass", -5_000, 5_000, 12 * 3600)
        self._hours: dict[int, Sky] = {}
        self._minute: int | None = None
        self._sky = Sky(0, 0, 0)

    def second_of_day(self, step: int) -> int:
        return (self._local_start + step) % 86_400

    def hour(self, step: int) -> int:
        return self.second_of_day(step) // 3600

    def day(self, step: int) -> int:
        """The local day's number since 1970-01-01."""
        return (self._local_start + step) // 86_400

    def at(self, step: int) -> Sky:
        minute = step // 60
        if minute != self._minute:
            hour, passed = divmod(self._local_start + minute * 60, 3600)
            before, after = self._hour_sky(hour), self._hour_sky(hour + 1)
            self._sky = Sky(*(a + (b - a) * passed // 3600 for a, b in zip(before, after, strict=True)))
            self._minute = minute
        return self._sky

    def _hour_sky(self, hour: int) -> Sky:
        if hour not in self._hours:
            self._hours[hour] = self._compute(hour)
        return self._hours[hour]

    def _compute(self, hour: int) -> Sky:
        local = hour * 3600
        year_angle = (local - _EPOCH_2000) % _YEAR_S * 3600 // _YEAR_S
        step = local - self._local_start
        cloud = min(1000, max(0, self._cloud.at(step)))
        sin_declination = 397_900_000 * sine(year_angle - 779) // PPB  # 0 at the equinox of 20 March
        cos_declination = isqrt(PPB * PPB - sin_declination * sin_declination)
        noon_angle = (hour % 24 - 12) * 150
        elevation = (
            _SIN_LATITUDE * sin_declination + _COS_LATITUDE * cos_declination // PPB * cosine(noon_angle)
        ) // PPB
        clear = max(0, elevation) * _CLEAR_SKY_MW_M2 // PPB
        sun = clear * (1000 - 750 * cloud // 1000) // 1000
        season = 6_500 - 11_500 * cosine(year_angle - 200) // PPB  # coldest about 20 January
        swing = (4_500 - 3 * cloud) * sine((hour % 24 - 9) * 150) // PPB  # warmest at 15 h, flatter under cloud
        return Sky(season + swing + self._air_mass.at(step), sun, cloud)
