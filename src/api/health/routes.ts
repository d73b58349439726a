import { readinessInfo, type ReadinessInfo } from '../../schemas/inspect.ts'
import { defineRoute } from '../define.ts'

export const getReadiness = defineRoute({
  method: 'GET',
  path: '/readyz',
  api: 'inspect',
  operationId: 'getReadiness',
  tag: 'Inspect',
  summary: 'Check readiness',
  description:
    '503 while the server drains, while API keys cannot be read from the database, and while a required quota store is unavailable. An unavailable provider or a model that is being downloaded does not make the server unready.',
  public: true,
  responses: {
    200: { description: 'Ready', json: readinessInfo },
    503: { description: 'Not ready', json: readinessInfo },
  },
  handle(_input, { readiness, models, providers }) {
    const reasons = [...readiness.reasons]
    const body: ReadinessInfo = {
      status: reasons.length === 0 ? 'ready' : 'unready',
      reasons,
      awaiting: [
        ...models.awaited.map((id) => `the models of provider '${id}'`),
        ...providers.all.flatMap(({ provider }) => provider?.pendingReason?.() ?? []),
      ],
    }
    return Response.json(body, { status: reasons.length === 0 ? 200 : 503, headers: { 'cache-control': 'no-store' } })
  },
})
