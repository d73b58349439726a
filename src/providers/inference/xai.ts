import { defineRemoteInference } from './remote-inference.ts'
import type { ReplyHooks } from './reply-hooks.ts'
import { hostedStarter } from './starter.ts'
import { toDollars } from './usage.ts'

const baseUrl = 'https://api.x.ai/v1'

/** Of the cost in one US dollar (docs.x.ai, "Cost Tracking"). */
const ticksPerDollar = 1e10

/** The cost is reported in ticks. */
export const withTicks: NonNullable<ReplyHooks['usageOf']> = (reported, usage) => {
  const dollars = toDollars(reported['cost_in_usd_ticks'], ticksPerDollar)
  if (dollars === undefined || usage?.dollars !== undefined) return usage
  return { input: 0, output: 0, ...usage, dollars }
}

export const xai = defineRemoteInference({
  type: 'remote::xai',
  description: 'xAI.',
  baseUrl,
  key: { header: 'xai_api_key', variable: 'XAI_API_KEY' },
  genAiName: 'x_ai',
  capabilities: ['chat', 'completions'],
  pricing: { catalogue: 'x-ai', reportsCost: true },
  overrides: () => ({ usageOf: withTicks }),
  starter: hostedStarter('xai', 'XAI_API_KEY', { variable: 'XAI_BASE_URL', default: baseUrl }),
})
