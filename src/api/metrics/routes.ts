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
  summary: 'Get metrics',
  description:
    'Prometheus text format 0.0.4, or OpenMetrics 1.0 if `accept` prefers it; aggregated over all worker processes. Requires the scope `telemetry.read` where authentication is configured, unless `telemetry.metrics.public` is set. 404 if metrics are disabled.',
  responses: { 200: { description: 'The metrics', text: 'text/plain' } },
  async handle({ headers, call }, { metrics }) {
    requireScope(call, 'metrics::*')
    if (!metrics) throw notFound('route', '/metrics')
    const format = formatFor(headers.get('accept'))
    const text = toText(await metrics.scrape(), metrics.definitions, { format, info: metrics.resource })
    return new Response(text, { headers: { 'content-type': contentTypes[format], 'cache-control': 'no-store' } })
  },
})
