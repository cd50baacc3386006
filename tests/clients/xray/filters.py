"""Every filter expression of the developer guide, and which of these traces it selects."""

from documents import BASE, http, segment, subsegment, trace_id
from world import XrayTest

START, END = BASE - 10, BASE + 600
DENIED = "Access Denied for account_id: 1234567890"


def fault(name, message):
    return {"fault": True, "cause": {"working_directory": "/srv", "exceptions": [
        {"id": "00000000000000ee", "type": name, "message": message}]}}


def chain():
    """Seven services, each failing because the next one does."""
    documents = []
    for number in range(7):
        call = subsegment("chain", f"link{number + 1}", 200 + number, 7 - number - 0.5,
                          key=f"call{number}", namespace="remote", fault=True)
        parent = f"call{number - 1}" if number else None
        documents.append(segment("chain", f"link{number}", 200 + number, 7 - number, parent=parent, fault=True,
                                 subsegments=[call] if number < 6 else []))
    return documents


TRACES = {
    "slow": [segment("slow", "api.example.com", 0, 6, user="alice",
                     http=http("GET", "http://api.example.com/v2/api/game/1", 200),
                     annotations={"gameid": "817DL6VO", "age": 30})],
    "gateway": [segment("gateway", "gateway", 10, 3, http=http("GET", "http://api.example.com/v2/list", 200),
                        annotations={"age": 20})],
    "quick": [segment("quick", "web", 20, 1, http=http("GET", "http://web.example/", 200))],
    "failing": [segment("failing", "web", 30, 1, http=http("GET", "/relative", 500), fault=True)],
    "edge": [segment("edge", "api.example.com", 40, 1, http=http("GET", "http://api.example.com/x", 200), subsegments=[
                 subsegment("edge", "backend.example.com", 40.25, 0.5, key="call", namespace="remote", error=True,
                            http=http("GET", "http://backend.example.com/", 400))]),
             segment("edge", "backend.example.com", 40.25, 0.5, parent="call", fault=True,
                     http=http("GET", "http://backend.example.com/", 500))],
    "apifault": [segment("apifault", "api.example.com", 50, 9, http=http("POST", "http://api.example.com/y", 500),
                         fault=True, annotations={"account": "12345"})],
    "lambda": [segment("lambda", "f", 60, 1, origin="AWS::Lambda::Function", error=True)],
    "data-plane": [segment("data-plane", "data-plane", 70, 1, subsegments=[
                       subsegment("data-plane", "deserialize", 70.25, 0.25, **fault("Denied", DENIED))], fault=True)],
    "traces": [segment("traces", "front", 80, 10, subsegments=[
                   subsegment("traces", "traces", 80.5, 9, namespace="remote")])],
    "table": [segment("table", "shop", 100, 2, fault=True, subsegments=[
                  subsegment("table", "DynamoDB", 100.5, 1, namespace="aws", fault=True,
                             aws={"operation": "GetItem", "table_name": "traces"})])],
    "chain": chain(),
    "partial": [{**segment("partial", "worker", 300, 0), "in_progress": True}],
    "account1": [segment("account1", "worker", 310, 1, aws={"account_id": "111111111111"})],
    "account2": [segment("account2", "worker", 320, 1, aws={"account_id": "222222222222"})],
}
del TRACES["partial"][0]["end_time"]
NOT_OK = {"failing", "apifault", "lambda", "data-plane", "table", "chain"}
SELECTS = [
    ("responsetime > 5", {"slow", "apifault", "traces", "chain"}),
    ("duration >= 5 AND duration <= 8", {"slow", "chain"}),
    ("!ok", NOT_OK),
    ("ok = false", NOT_OK),
    ("http.status != 200", {"failing", "apifault"}),
    ("ok !partial duration <3", {"quick", "edge", "account1", "account2"}),
    ('http.url CONTAINS "/api/game/"', {"slow"}),
    ('user CONTAINS ""', {"slow"}),
    ('service("api.example.com") { fault }', {"apifault"}),
    ("service() { fault }", {"failing", "edge", "apifault", "data-plane", "table", "chain"}),
    ('edge("api.example.com","backend.example.com") { error }', {"edge"}),
    ('edge("api.example.com","backend.example.com") { fault }', set()),
    ('http.url BEGINSWITH "http://api.example.com/" AND http.url CONTAINS "/v2/" '
     'AND !service("api.example.com")', {"gateway"}),
    ("http.url AND responseTime > 2", {"slow", "gateway", "apifault"}),
    ('annotation.gameid = "817DL6VO"', {"slow"}),
    ("annotation.age", {"slow", "gateway"}),
    ("!annotation.age", set(TRACES) - {"slow", "gateway"}),
    ("annotation.age > 29", {"slow"}),
    ('annotation.age = "30"', set()),
    ('annotation[age] >= 20', {"slow", "gateway"}),
    ('group.name = "high_response_time" AND user = "alice"', {"slow"}),
    ('service(id(name:"f", type:"AWS::Lambda::Function")) { error }', {"lambda"}),
    ('service(id(type:"AWS::Lambda::Function"))', {"lambda"}),
    ('service(id(account.id:"111111111111")) OR service(id(account.id:"222222222222"))', {"account1", "account2"}),
    ('service("data-plane") {root = true and fault = true}', {"data-plane"}),
    ('rootcause.fault.entity { last and name = "deserialize" }', {"data-plane"}),
    ('rootcause.responsetime.entity { remote and coverage > 0.7 and name = "traces" }', {"traces"}),
    # The guide's own example: a table's node is found by the type of its service, too.
    ('rootcause.fault.service { inferred and name = traces and type = "AWS::DynamoDB" }', {"table"}),
    ('rootcause.fault.service { inferred and name = traces and type = "AWS::DynamoDB::Table" }', {"table"}),
    ("rootcause.fault.service { index > 5 }", {"chain"}),
    (f'rootcause.fault.exception {{ last and message = "{DENIED}"', {"data-plane"}),
    ('rootcause.json = #[{"Services":[{"Name":"data-plane","EntityPath":'
     '[{"Name":"data-plane"},{"Name":"deserialize"}]}]}]', {"data-plane"}),
    ('service("api.example.com") { fault = true OR responsetime > 2.5 } AND annotation.account = "12345"',
     {"apifault"}),
    ("partial", {"partial"}),
    # What Grafana makes of a click.
    ('service(id(name: "f", type: "AWS::Lambda::Function"))', {"lambda"}),
    ('responsetime > 5 AND service("chain") OR user = "alice"', {"slow"}),
]


class Filters(XrayTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.xray.create_group(GroupName="high-response-time", FilterExpression="responsetime > 5")
        cls().put(*[document for documents in TRACES.values() for document in documents])

    def test_every_documented_expression_selects_what_it_says(self):
        names = {trace_id(name): name for name in TRACES}
        for expression, expected in SELECTS:
            with self.subTest(expression=expression):
                text = expression.replace("high_response_time", "high-response-time")
                self.assertEqual({names[found] for found in self.found(START, END, text)}, expected)

    def test_without_an_expression_all_are_found(self):
        self.assertEqual(len(self.summaries(START, END)), len(TRACES))
