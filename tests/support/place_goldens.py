"""Names of countries and first-level divisions as atlases, newspapers and models write them, and what they mean.

Written by hand from general knowledge, not taken from the tables under test.
"""

from __future__ import annotations

COUNTRIES = """
AE UAE · U.A.E. · United Arab Emirates · 阿联酋 · 阿拉伯联合酋长国
AT Austria · Österreich · 奥地利 · Autriche
AU Australia · 澳大利亚 · 澳洲
BA Bosnia and Herzegovina · Bosnia & Herzegovina · Bosnia
BE Belgium · Belgique · België · 比利时
BO Bolivia · 玻利维亚
BR Brazil · Brasil · 巴西 · ブラジル
CD DR Congo · Democratic Republic of the Congo · Congo-Kinshasa · Zaire · 刚果（金）
CG Congo · Congo-Brazzaville · Republic of the Congo · 刚果（布）
CH Switzerland · Schweiz · Suisse · 瑞士
CI Elfenbeinküste · Cote D Ivoire · Ivory Coast · Côte d'Ivoire · Cote d’Ivoire · COTE DIVOIRE · 科特迪瓦
CN China · PRC · People's Republic of China · 中国 · 中國 · 中华人民共和国 · Chine · Kina
CV Cape Verde · Cabo Verde
CZ Czech Republic · Czechia · Česko · 捷克
DE Germany · Deutschland · Allemagne · 德国 · ドイツ · Германия
ES Spain · España · 西班牙
FM Micronesia
FR France · 法国 · Франция
GB UK · U.K. · United Kingdom · Great Britain · England · Scotland · Wales · 英国 · 英國 · Royaume-Uni
GE Georgia · 格鲁吉亚
GN Guinea
GR Greece · Ελλάδα · Griechenland · 希腊
HK Hong Kong · 香港 · Hong Kong SAR
IE Ireland · Éire · 爱尔兰
IN India · Bharat · भारत · 印度
IR Iran · Islamic Republic of Iran · 伊朗
IT Italy · Italia · 意大利 · Italien
JP Japan · 日本 · Nippon · Япония · 일본
KP North Korea · DPRK · 朝鲜
KR Korea · South Korea · Republic of Korea · 韩国 · 南韩 · 대한민국
LA Laos · Lao PDR · 老挝
LK Sri Lanka · Ceylon
MD Moldova
MF,SX Saint Martin
MK Macedonia · North Macedonia
MM Burma · Myanmar · 缅甸
MO Macau · Macao · 澳门
NE Niger
NG Nigeria
NL Holland · Netherlands · The Netherlands · 荷兰 · Nederland
NZ New Zealand · 新西兰
PS Palestine
RU Russia · Russian Federation · Россия · 俄罗斯 · Russland
SA Saudi Arabia · KSA · 沙特阿拉伯
SE Sweden · Sverige · 瑞典
SY Syria · 叙利亚
SZ Swaziland · Eswatini
TH Thailand · ประเทศไทย · ไทย · 泰国
TL East Timor · Timor-Leste
TR Turkey · Türkiye · TÜRKİYE · 土耳其
TW Taiwan · 台湾 · 臺灣 · ROC
TZ Tanzania
US EUA · USA · U.S.A. · US · U.S. · United States · United States of America
US America · The United States · 美国 · 美國 · США · アメリカ
VA Vatican · Vatican City · Holy See
VE Venezuela
VN Vietnam · Viet Nam · Việt Nam · 越南
XK Kosovo
ZA South Africa · 南非
"""

DIVISIONS = """
CN-HE Hebei · Hebei Province · 河北 · 河北省 · HEBEI · CN-HE · HE · Hébei
CN-HB Hubei · Hubei Province · 湖北 · 湖北省
CN-HA Henan · 河南省
CN-HN Hunan · 湖南省
CN-SX Shanxi · 山西 · 山西省
CN-SN Shaanxi · 陕西 · 陝西省
CN-JS Jiangsu · Jiangsu Province · 江苏省 · 江蘇
CN-BJ Beijing · 北京 · 北京市 · Peking · Beijing Municipality · Beijing City · Beijing Shi
CN-SH Shanghai · 上海市 · Shanghai Municipality
CN-TJ Tianjin · 天津市
CN-CQ Chongqing · 重庆市 · 重慶
CN-NM Inner Mongolia · Nei Mongol · 内蒙古 · 内蒙古自治区 · 內蒙古 · Inner Mongolia Autonomous Region
CN-XZ Tibet · Xizang · 西藏 · 西藏自治区
CN-XJ Xinjiang · 新疆 · 新疆维吾尔自治区 · Xinjiang Uyghur Autonomous Region
CN-GX Guangxi · Guangxi Zhuang Autonomous Region · 广西 · 廣西
CN-NX Ningxia · 宁夏回族自治区
CN-HK Hong Kong · 香港 · Hong Kong SAR
CN-MO Macau · Macao · 澳门
CN-TW Taiwan · 台湾
CN-GD Guangdong · 广东 · 廣東省
CN-HL Heilongjiang · 黑龙江省
RU-ALT Altay Kray
RU-AL Republic of Altay
BG-22 sofia · софия · софија · sofya
BG-23 София-област
CH-BS Basel · Bâle
IR-09 خراسان رضوی
BD-D খুলনা
IN-GJ ગુજરાત
IN-KA ಕರ್ನಾಟಕ
NZ-HKB 霍克斯湾
MN-053 Umnugovi · 南戈壁省
FI-14 North Ostrobothnia
EG-AST Assiut
UZ-XO Khorezm
US-CA California · CA · US-CA · 加州 · 加利福尼亚州 · State of California · Kalifornien
US-NY New York · New York State · NY · 纽约州 · 纽约
US-WA Washington · Washington State · 华盛顿州
US-DC Washington DC · Washington, D.C. · District of Columbia · D.C. · 华盛顿特区
US-TX Texas · TX · 德克萨斯州 · 得州
US-HI Hawaii · Hawaiʻi · Hawai'i · 夏威夷
US-GA Georgia · 佐治亚州
US-MA Massachusetts · 马萨诸塞州 · 麻省
US-PR Puerto Rico
CA-ON Ontario · 安大略省 · ON
CA-QC Quebec · Québec · 魁北克
CA-BC British Columbia · B.C. · Colombie-Britannique
CA-NL Newfoundland and Labrador · Newfoundland & Labrador · Newfoundland
AU-NSW New South Wales · NSW · 新南威尔士州
AU-VIC Victoria · VIC · State of Victoria
AU-WA Western Australia
GB-ENG England · 英格兰
GB-SCT Scotland · 苏格兰 · Schottland
GB-WLS Wales · Cymru
GB-NIR Northern Ireland
IE-D Dublin · County Dublin · Co. Dublin
IE-CO Cork · County Cork
IE-M Munster
DE-BY Bavaria · Bayern · Freistaat Bayern · Free State of Bavaria · 巴伐利亚 · 巴伐利亚州 · Bavière · BY
DE-NW North Rhine-Westphalia · Nordrhein-Westfalen · NRW · 北威州
DE-SN Saxony · Sachsen
DE-NI Lower Saxony · Niedersachsen
DE-ST Saxony-Anhalt · Sachsen-Anhalt
DE-BW Baden-Württemberg · Baden-Wuerttemberg · Baden Wurttemberg
DE-TH Thuringia · Thüringen
DE-BE Berlin · Land Berlin
AT-2 Carinthia · Kärnten
AT-6 Styria · Steiermark
AT-7 Tyrol · Tirol
AT-9 Vienna · Wien · 维也纳
CH-GE Geneva · Genève · Canton of Geneva · 日内瓦
CH-ZH Zurich · Zürich · Kanton Zürich
CH-GR Graubünden · Grisons
CH-VS Valais · Wallis
FR-BRE Brittany · Bretagne · Région Bretagne · 布列塔尼
FR-IDF Île-de-France · Ile de France · 法兰西岛
FR-PAC Provence-Alpes-Côte d'Azur · Provence-Alpes-Cote d’Azur · PACA
FR-NOR Normandy · Normandie
FR-20R Corsica · Corse
FR-HDF Hauts-de-France
FR-GES Grand Est
IT-25 Lombardy · Lombardia · 伦巴第 · Regione Lombardia
IT-52 Tuscany · Toscana · 托斯卡纳
IT-82 Sicily · Sicilia
IT-88 Sardinia · Sardegna
IT-62 Lazio · Latium
IT-21 Piedmont · Piemonte
IT-75 Apulia · Puglia
IT-32 Trentino-Alto Adige · Trentino-South Tyrol · Trentino-Alto Adige/Südtirol
ES-AN Andalusia · Andalucía · 安达卢西亚
ES-CT Catalonia · Catalunya · Cataluña · 加泰罗尼亚
ES-MD Madrid · Community of Madrid · Comunidad de Madrid
ES-PV Basque Country · Euskadi · País Vasco
ES-CL Castile and León · Castilla y León
ES-VC Valencian Community · Comunitat Valenciana
ES-IB Balearic Islands · Illes Balears
PT-11 Lisbon · Lisboa · Distrito de Lisboa
BE-VLG Flanders · Vlaanderen · Flemish Region
BE-WAL Wallonia · Wallonie · Walloon Region
BE-BRU Brussels · Bruxelles
NL-NH North Holland · Noord-Holland · 北荷兰省
SE-AB Stockholm · Stockholm County · Stockholms län
SE-M Skåne · Scania · Skane
NO-03 Oslo
NO-46 Vestland
NO-32 Akershus
DK-84 Capital Region of Denmark · Region Hovedstaden
DK-82 Central Denmark Region · Midtjylland
FI-18 Uusimaa · Nyland
PL-12 Lesser Poland · Małopolskie · Lesser Poland Voivodeship · Malopolska · Województwo małopolskie
PL-14 Masovian Voivodeship · Mazowieckie
CZ-10 Prague · Praha
CZ-64 South Moravian Region · Jihomoravský kraj
HU-BU Budapest
HR-21 Zagreb · City of Zagreb
HR-01 Zagreb County
RU-MOW Moscow · Москва · 莫斯科 · Moscow City · Moskva
RU-MOS Moscow Oblast · Moscow Region · Московская область · 莫斯科州 · Moskovskaya Oblast'
RU-SPE Saint Petersburg · St. Petersburg · Санкт-Петербург · 圣彼得堡
RU-LEN Leningrad Oblast · Ленинградская область
RU-TA Tatarstan · Republic of Tatarstan · Татарстан
RU-SA Sakha Republic · Yakutia
RU-KDA Krasnodar Krai · Краснодарский край
RU-ALT Altai Krai
RU-AL Altai Republic
RU-SVE Sverdlovsk Oblast · Свердловская область
UA-30 Kyiv · Kiev
UA-32 Kyiv Oblast · Kiev Oblast
UA-46 Lviv Oblast · Lviv
BY-HM Minsk
BY-MI Minsk Region · Minsk Oblast · Minsk Voblast
KZ-75 Almaty
KZ-19 Almaty Region
TR-34 Istanbul · İstanbul · İSTANBUL · Istanbul Province · İstanbul ili
TR-35 Izmir · İzmir
GR-I Attica · Attiki · Αττική
GR-M Crete · Κρήτη
JP-13 Tokyo · 東京都 · 东京 · Tokyo Metropolis · 도쿄
JP-27 Osaka · 大阪府 · Osaka Prefecture · Ōsaka
JP-01 Hokkaido · 北海道 · Hokkaidō
JP-26 Kyoto · 京都府 · Kyoto-fu
JP-40 Fukuoka · 福岡県 · Fukuoka-ken
KR-11 Seoul · 서울 · 서울특별시 · 首尔
KR-41 Gyeonggi · Gyeonggi-do · Gyeonggi Province · 경기도 · 京畿道
KR-26 Busan · Pusan · 부산광역시
KR-49 Jeju · Jeju-do · 济州岛
TW-TPE Taipei · Taipei City · 台北市
TW-NWT New Taipei · 新北市
TW-TXG Taichung · 臺中市
TH-10 Bangkok · Krung Thep · กรุงเทพมหานคร · 曼谷
TH-50 Chiang Mai · เชียงใหม่ · จังหวัดเชียงใหม่ · Chiang Mai Province · 清迈府
VN-HN Hanoi · Hà Nội · Ha Noi · 河内
VN-SG Ho Chi Minh City · Hồ Chí Minh · Saigon · 胡志明市 · Thành phố Hồ Chí Minh
VN-13 Quảng Ninh · Quang Ninh · Tỉnh Quảng Ninh
ID-BA Bali · 巴厘岛
ID-JK Jakarta · DKI Jakarta · 雅加达
ID-JB West Java · Jawa Barat
MY-14 Kuala Lumpur · 吉隆坡
MY-07 Penang · Pulau Pinang · 槟城
PH-00 Metro Manila · National Capital Region · NCR
PH-CEB Cebu
IN-MH Maharashtra · 马哈拉施特拉邦 · महाराष्ट्र
IN-OD Odisha · Orissa
IN-UK Uttarakhand · Uttaranchal
IN-PY Puducherry · Pondicherry
IN-TN Tamil Nadu · 泰米尔纳德邦
IN-DL Delhi · NCT of Delhi · 德里
PK-PB Punjab
NP-P3 Bagmati · Bagmati Province
LK-1 Western Province
IR-23 Tehran · 德黑兰
IR-10 Isfahan · Esfahan
MA-06 Casablanca-Settat
EG-C Cairo · 开罗 · القاهرة
SA-02 Makkah · Mecca · Makkah Province
AE-DU Dubai · 迪拜 · دبي · Emirate of Dubai
IL-TA Tel Aviv · Tel Aviv District
MX-CMX Mexico City · CDMX · Ciudad de México · 墨西哥城 · Distrito Federal
MX-MEX State of Mexico · Estado de México · Edomex
MX-JAL Jalisco
MX-NLE Nuevo León · Nuevo Leon
BR-SP São Paulo · Sao Paulo · SP · 圣保罗州 · State of São Paulo
BR-RJ Rio de Janeiro · 里约热内卢
BR-DF Federal District · Distrito Federal · Brasília
AR-B Buenos Aires Province · Provincia de Buenos Aires
AR-C CABA · Ciudad Autónoma de Buenos Aires
AR-B,AR-C Buenos Aires
CL-RM Santiago Metropolitan Region · Región Metropolitana
CO-DC Bogotá · Bogota D.C.
PE-CUS Cusco · Cuzco
ZA-WC Western Cape · 西开普省
ZA-GP Gauteng
KE-30 Nairobi · Nairobi County
NG-LA Lagos · Lagos State
NZ-AUK Auckland
"""

NO_COUNTRY = ("Atlantis", "", "Europe", "Korea Sea", "Germny", "中", "Hebei", "Congos", "Indiaa", "12", "the")

NOT_THERE = (
    ("CN", "Hebe"),
    ("CN", "Hubeii"),
    ("CN", "Jilin City"),
    ("CN", "吉林市"),
    ("CN", "Guangzhou"),
    ("CN", "深圳"),
    ("CN", "苏州"),
    ("US", "New York City"),
    ("US", "Kansas City"),
    ("US", "Oklahoma City"),
    ("US", "Bavaria"),
    ("US", "纽约市"),
    ("CA", "Quebec City"),
    ("MX", "Puebla City"),
    ("JP", "京都市"),
    ("JP", "Kyoto City"),
    ("JP", "Osaka City"),
    ("DE", "Munich"),
    ("DE", "Prussia"),
    ("FR", "Paris"),
    ("FR", "Finistère"),
    ("FR", "Gironde"),
    ("IT", "Milan"),
    ("IT", "Firenze"),
    ("ES", "Sevilla"),
    ("ES", "Barcelona"),
    ("GB", "London"),
    ("GB", "Kent"),
    ("BE", "Antwerp"),
    ("IN", "Bombay"),
    ("RU", "Oblast"),
    ("RU", ""),
    ("CN", "省"),
    ("CN", "Province"),
    ("KR", "Suwon-si"),
    ("ZZ", "Anything"),
)

DIFFERENT = (
    ("CN", "Hebei", "Hubei"),
    ("CN", "Henan", "Hunan"),
    ("CN", "Shanxi", "Shaanxi"),
    ("CN", "山西", "陕西"),
    ("CN", "Hainan", "Henan"),
    ("CN", "Guangxi", "Jiangxi"),
    ("CN", "Jiangsu", "Jiangxi"),
    ("CN", "Hunan", "Yunnan"),
    ("US", "Arkansas", "Kansas"),
    ("US", "Virginia", "West Virginia"),
    ("US", "Washington", "Washington DC"),
    ("RU", "Moscow", "Moscow Oblast"),
    ("RU", "Saint Petersburg", "Leningrad Oblast"),
    ("RU", "Altai Krai", "Altai Republic"),
    ("UA", "Kyiv", "Kyiv Oblast"),
    ("BY", "Minsk", "Minsk Oblast"),
    ("KZ", "Almaty", "Almaty Oblast"),
    ("DE", "Saxony", "Lower Saxony"),
    ("DE", "Saxony", "Saxony-Anhalt"),
    ("MX", "Mexico City", "State of Mexico"),
    ("TW", "Taipei", "New Taipei"),
    ("HU", "Budapest", "Pest"),
    ("HR", "Zagreb", "Zagreb County"),
    ("UZ", "Tashkent", "Tashkent Region"),
    ("CH", "Basel-Stadt", "Basel-Landschaft"),
    ("LA", "Vientiane", "Vientiane Province"),
    ("KR", "North Jeolla", "South Jeolla"),
    ("CH", "Appenzell Innerrhoden", "Appenzell Ausserrhoden"),
    ("BG", "Sofia City", "Sofia Province"),
    ("KG", "Osh City", "Osh Region"),
)


def golden_countries() -> list[tuple[str, frozenset[str]]]:
    """(name, codes)."""
    return list(_cases(COUNTRIES))


def golden_divisions() -> list[tuple[str, frozenset[str]]]:
    """(name, codes); the country is that of the codes."""
    return list(_cases(DIVISIONS))


def _cases(text: str) -> list[tuple[str, frozenset[str]]]:
    cases = []
    for line in text.strip().splitlines():
        codes, _, names = line.partition(" ")
        cases += [(name, frozenset(codes.split(","))) for name in names.split(" · ")]
    return cases
