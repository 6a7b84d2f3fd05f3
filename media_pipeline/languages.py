"""Languages: BCP 47 codes (RFC 5646), their names, and the three-letter codes that MP4 wants (ISO 639-2/T)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

TABLE = """
af afr Afrikaans|Afrikaans
am amh Amharic|አማርኛ
an arg Aragonese|Aragonés
ar ara Arabic|العربية
as asm Assamese|অসমীয়া
ast ast Asturian|Asturianu
az aze Azerbaijani|Azərbaycanca
be bel Belarusian|Беларуская
bg bul Bulgarian|Български
bn ben Bengali|বাংলা
bo bod Tibetan|བོད་སྐད་
br bre Breton|Brezhoneg
bs bos Bosnian|Bosanski
ca cat Catalan|Català
cs ces Czech|Čeština
cy cym Welsh|Cymraeg
da dan Danish|Dansk
de deu German|Deutsch
el ell Greek|Ελληνικά
en eng English|English
eo epo Esperanto|Esperanto
es spa Spanish|Español
et est Estonian|Eesti
eu eus Basque|Euskara
fa fas Persian|فارسی
fi fin Finnish|Suomi
fil fil Filipino|Filipino
fo fao Faroese|Føroyskt
fr fra French|Français
ga gle Irish|Gaeilge
gd gla Scottish Gaelic|Gàidhlig
gl glg Galician|Galego
gu guj Gujarati|ગુજરાતી
he heb Hebrew|עברית
hi hin Hindi|हिन्दी
hr hrv Croatian|Hrvatski
ht hat Haitian Creole|Kreyòl ayisyen
hu hun Hungarian|Magyar
hy hye Armenian|Հայերեն
ia ina Interlingua|Interlingua
id ind Indonesian|Bahasa Indonesia
is isl Icelandic|Íslenska
it ita Italian|Italiano
ja jpn Japanese|日本語
jv jav Javanese|Basa Jawa
ka kat Georgian|ქართული
kk kaz Kazakh|Қазақша
km khm Khmer|ភាសាខ្មែរ
kn kan Kannada|ಕನ್ನಡ
ko kor Korean|한국어
ku kur Kurdish|Kurdî
ky kir Kyrgyz|Кыргызча
la lat Latin|Latina
lb ltz Luxembourgish|Lëtzebuergesch
lo lao Lao|ລາວ
lt lit Lithuanian|Lietuvių
lv lav Latvian|Latviešu
mg mlg Malagasy|Malagasy
mi mri Māori|Te reo Māori
mk mkd Macedonian|Македонски
ml mal Malayalam|മലയാളം
mn mon Mongolian|Монгол
mr mar Marathi|मराठी
ms msa Malay|Bahasa Melayu
mt mlt Maltese|Malti
my mya Burmese|မြန်မာ
nb nob Norwegian Bokmål|Norsk bokmål
ne nep Nepali|नेपाली
nl nld Dutch|Nederlands
nn nno Norwegian Nynorsk|Norsk nynorsk
no nor Norwegian|Norsk
oc oci Occitan|Occitan
or ori Odia|ଓଡ଼ିଆ
pa pan Punjabi|ਪੰਜਾਬੀ
pl pol Polish|Polski
ps pus Pashto|پښتو
pt por Portuguese|Português
ro ron Romanian|Română
ru rus Russian|Русский
sa san Sanskrit|संस्कृतम्
sc srd Sardinian|Sardu
sd snd Sindhi|سنڌي
se sme Northern Sami|Davvisámegiella
si sin Sinhala|සිංහල
sk slk Slovak|Slovenčina
sl slv Slovenian|Slovenščina
so som Somali|Soomaali
sq sqi Albanian|Shqip
sr srp Serbian|Српски
su sun Sundanese|Basa Sunda
sv swe Swedish|Svenska
sw swa Swahili|Kiswahili
ta tam Tamil|தமிழ்
te tel Telugu|తెలుగు
tg tgk Tajik|Тоҷикӣ
th tha Thai|ไทย
tk tuk Turkmen|Türkmençe
tr tur Turkish|Türkçe
tt tat Tatar|Татарча
uk ukr Ukrainian|Українська
ur urd Urdu|اردو
uz uzb Uzbek|Oʻzbekcha
vi vie Vietnamese|Tiếng Việt
yi yid Yiddish|ייִדיש
yo yor Yoruba|Yorùbá
zh zho Chinese|中文
zu zul Zulu|isiZulu
"""
RIGHT_TO_LEFT = frozenset({"ar", "fa", "he", "ps", "sd", "ur", "yi"})
TAG = re.compile(r"([A-Za-z]{2,3})(?:[-_]([A-Za-z]{4}))?(?:[-_]([A-Za-z]{2}|\d{3}))?")


@dataclass(frozen=True, slots=True)
class Language:
    """``code`` is BCP 47, ``iso639_2`` the terminological three-letter code."""

    code: str
    iso639_2: str
    english_name: str
    native_name: str


@cache
def _table() -> dict[str, Language]:
    rows = {}
    for line in TABLE.strip().splitlines():
        codes, native = line.split("|")
        code, three, english = codes.split(" ", 2)
        rows[code] = Language(code, three, english, native)
    return rows


def all_languages() -> tuple[Language, ...]:
    """All that Dragoman has a name for, by code."""
    return tuple(_table().values())


def normalise(code: str) -> str:
    """``EN_us`` becomes ``en-US``, ``spa`` becomes ``es``; what is no tag comes back as it was."""
    match = TAG.fullmatch(code.strip())
    if match is None:
        return code
    language, script, region = match.groups()
    language = _two_letters().get(language.lower(), language.lower())
    parts = [language, script.title() if script else "", region.upper() if region else ""]
    return "-".join(part for part in parts if part)


def primary(code: str) -> str:
    """The language without script and region."""
    return normalise(code).partition("-")[0]


def is_known(code: str) -> bool:
    """Whether this is a tag whose language we have a name for."""
    return TAG.fullmatch(code.strip()) is not None and primary(code) in _table()


def english_name(code: str) -> str:
    """``Spanish``; the code itself when unknown."""
    known = _table().get(primary(code))
    return known.english_name if known else code


def native_name(code: str) -> str:
    """``Español``; with a region, ``Português (BR)``."""
    known = _table().get(primary(code))
    if known is None:
        return code
    _, _, rest = normalise(code).partition("-")
    return f"{known.native_name} ({rest})" if rest else known.native_name


def iso639_2(code: str) -> str:
    """``spa``; ``und`` when unknown (ISO 639-2)."""
    known = _table().get(primary(code))
    return known.iso639_2 if known else "und"


def direction(code: str) -> str:
    """``ltr`` or ``rtl``."""
    return "rtl" if primary(code) in RIGHT_TO_LEFT else "ltr"


@cache
def _two_letters() -> dict[str, str]:
    return {language.iso639_2: language.code for language in _table().values()}
