/** The names the page uses for what the API returns. The only place that knows where they come from. */
import type { components, paths } from "./schema";

type Schemas = components["schemas"];

export type Paths = paths;
export type TraceSummary = Schemas["TraceSummary"];
export type SearchResult = Schemas["SearchResult"];
export type ServiceMap = Schemas["ServiceMap"];
export type MapNode = Schemas["MapNode"];
export type NodeMessages = Schemas["NodeMessages"];
export type MapEdge = Schemas["MapEdge"];
export type TraceView = Schemas["TraceView"];
export type SpanDetail = Schemas["SpanDetail"];
export type Attribute = Schemas["Attribute"];
export type Journey = Schemas["Journey"];
export type JourneyList = Schemas["JourneyList"];
export type JourneySummary = Schemas["JourneySummary"];
export type JourneyTrace = Schemas["JourneyTrace"];
export type JourneySpan = Schemas["JourneySpan"];
export type JourneyGroup = Schemas["JourneyGroup"];
export type Join = Schemas["Join"];
export type Diagnosis = Schemas["Diagnosis"];
export type Finding = Schemas["Finding"];
export type Sight = Schemas["Sight"];
export type Rejected = Schemas["Rejected"];
export type Status = Schemas["Status"];
export type Operation = Schemas["Operations"]["operations"][number];
export type ServiceStats = Schemas["Services"]["services"][number];
export type OtlpTrace = Schemas["OtlpTrace"];
export type OtlpAttribute = Schemas["OtlpAttribute"];
export type OtlpValue = Schemas["OtlpValue"];
export type AttributeKey = Schemas["Keys"]["attributes"][number];
export type ValueCount = Schemas["Values"]["values"][number];
