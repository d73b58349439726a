import { notFound } from '../../errors.ts'
import { contentTypes, formatFor, toText } from '../../telemetry/metrics/prometheus.ts'
import { defineRoute } from '../define.ts'
import { requireScope } from '../telemetry-scope.ts'

export const getMetrics = defineRoute({
  method: 'GET',
  path: '/metrics',
  public: 'metrics',
  api: 'inspect',
  operationId: 'getMetrics',
  tag: 'Inspect',
  summary: 'Tell everything that is counted and measured',
  description:
    'Prometheus’ text format 0.0.4, or OpenMetrics 1.0 where `accept` prefers that; of all processes of this server together. Takes the scope `telemetry.read`, where callers are authenticated, unless `telemetry.metrics.public` is set. 404 where metrics are switched off.',
  responses: { 200: { description: 'The metrics', text: 'text/plain' } },
  async handle({ headers, call }, { metrics }) {
    requireScope(call, 'metrics::*')
    if (!metrics) throw notFound('route', '/metrics')
    const format = formatFor(headers.get('accept'))
    const text = toText(await metrics.scrape(), metrics.definitions, { format, info: metrics.resource })
    return new Response(text, { headers: { 'content-type': contentTypes[format], 'cache-control': 'no-store' } })
  },
})
