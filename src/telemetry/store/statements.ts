/** A request with its server span; what a span under it said before stays where the request itself says nothing. Gives the row's id. */
export const saveTrace = `insert into traces (trace_id, part, root_span_id, name, "start", "end", status, failed, kept, http_status, route, model, provider,
  principal, principal_attributes, key_id, request_id, error_type, input_tokens, output_tokens, cost_usd)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict (trace_id, part) do update set root_span_id = excluded.root_span_id, name = excluded.name, "start" = excluded."start",
  "end" = max("end", excluded."end"), status = excluded.status, failed = excluded.failed, kept = excluded.kept,
  http_status = excluded.http_status, route = excluded.route, model = coalesce(excluded.model, model),
  provider = coalesce(excluded.provider, provider), error_type = coalesce(excluded.error_type, error_type),
  input_tokens = coalesce(excluded.input_tokens, input_tokens), output_tokens = coalesce(excluded.output_tokens, output_tokens),
  cost_usd = coalesce(excluded.cost_usd, cost_usd)
returning id`

/** The same with any other span: the request's own word stays. */
export const extendTrace = `insert into traces (trace_id, part, root_span_id, name, "start", "end", status, failed, kept, http_status, route, model, provider,
  principal, principal_attributes, key_id, request_id, error_type, input_tokens, output_tokens, cost_usd)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict (trace_id, part) do update set "start" = min("start", excluded."start"), "end" = max("end", excluded."end"),
  name = case when name = '' then excluded.name else name end, failed = max(failed, excluded.failed),
  status = case when excluded.status = 'error' then 'error' else status end, model = coalesce(model, excluded.model),
  provider = coalesce(provider, excluded.provider), error_type = coalesce(error_type, excluded.error_type)
returning id`

/** A span; of what a caller logs piece by piece, one span is made. */
export const saveSpan = `insert into spans (trace, span_id, parent_span_id, name, kind, "start", "end", status, status_message, attributes, events)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict (trace, span_id) do update set parent_span_id = coalesce(excluded.parent_span_id, parent_span_id),
  name = case when excluded.name = '' then name else excluded.name end, "start" = min("start", excluded."start"),
  "end" = max("end", excluded."end"), status = case when excluded.status = 'unset' then status else excluded.status end,
  attributes = case when length(attributes) > 65536 then attributes else json_patch(attributes, excluded.attributes) end,
  events = case when excluded.events = '[]' or length(events) > 65536 then events when events = '[]' then excluded.events
    else substr(events, 1, length(events) - 1) || ',' || substr(excluded.events, 2) end`

export const deleteOlder = 'delete from traces where id in (select id from traces where "start" < ? order by "start" limit ?)'
/** Traces that callers logged; uses the index `traces_logged`. */
export const deleteOldestLogged =
  'delete from traces where id in (select id from traces where substr(part, 1, 10) = \'logged by \' order by "start", id limit ?)'
export const deleteOldest = 'delete from traces where id in (select id from traces order by "start", id limit ?)'

/** Parameters: 1 and 2 the cursor (start, id), 3 and 4 the period, then the filters, 13 the limit. */
export const listTraces = `select * from traces
where "start" <= coalesce(?1, 1e300) and (?1 is null or ("start", id) < (?1, ?2))
  and "start" >= coalesce(?3, -1e300) and "start" < coalesce(?4, 1e300)
  and (?5 is null or failed = ?5) and (?6 is null or kept = 'slow' or "end" - "start" >= ?6)
  and (?7 is null or key_id = ?7) and (?8 is null or model = ?8) and (?9 is null or provider = ?9)
  and (?10 is null or principal = ?10) and (?11 is null or request_id = ?11) and (?12 is null or trace_id = ?12)
order by "start" desc, id desc limit ?13`

/** The same, the oldest first. */
export const listTracesFromOldest = `select * from traces
where "start" >= coalesce(?1, -1e300) and (?1 is null or ("start", id) > (?1, ?2))
  and "start" >= coalesce(?3, -1e300) and "start" < coalesce(?4, 1e300)
  and (?5 is null or failed = ?5) and (?6 is null or kept = 'slow' or "end" - "start" >= ?6)
  and (?7 is null or key_id = ?7) and (?8 is null or model = ?8) and (?9 is null or provider = ?9)
  and (?10 is null or principal = ?10) and (?11 is null or request_id = ?11) and (?12 is null or trace_id = ?12)
order by "start", id limit ?13`

export const tracesAfter = 'select * from traces where id > ? order by id limit ?'
export const lastTrace = 'select coalesce(max(id), 0) as id from traces'

export const tracesOfId = 'select * from traces where trace_id = ? order by "start", id limit ?'
export const tracesOfRequest = 'select * from traces where request_id = ? order by "start", id limit ?'
/** Up to, and not with, the second. */
export const tracesOfIdsBetween = 'select * from traces where trace_id >= ? and trace_id < ? order by trace_id, "start" limit ?'
export const tracesOfRequestsBetween = 'select * from traces where request_id >= ? and request_id < ? order by request_id, "start" limit ?'
export const tracesOfSpan = 'select * from traces where id in (select trace from spans where span_id = ?) order by "start", id limit ?'

export const spansOfTrace = 'select * from spans where trace = ? order by "start", span_id limit ?'
