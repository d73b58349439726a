import { notFound } from '../../errors.ts'
import { contentTypes, formatFor, toText } from '../../telemetry/metrics/prometheus.ts'
import { defineRoute } from '../define.ts'

export const getMetrics = defineRoute({
  method: 'GET',
  path: '/metrics',
  api: 'inspect',
  operationId: 'getMetrics',
  tag: 'Inspect',
  summary: 'Tell everything that is counted and measured',
  description:
    'Prometheus’ text format 0.0.4, or OpenMetrics 1.0 where `accept` prefers that; of all processes of this server together. A caller needs a credential where there is authentication; who may read it is for the route policy to say. 404 where metrics are switched off.',
  responses: { 200: { description: 'The metrics', text: 'text/plain' } },
  async handle({ headers }, { metrics }) {
    if (!metrics) throw notFound('route', '/metrics')
    const format = formatFor(headers.get('accept'))
    const text = toText(await metrics.scrape(), metrics.definitions, { format, info: metrics.resource })
    return new Response(text, { headers: { 'content-type': contentTypes[format], 'cache-control': 'no-store' } })
  },
})
