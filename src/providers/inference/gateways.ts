import type { Gateway } from './gateway.ts'
import { openrouterGateway } from './openrouter-gateway.ts'

/** LiteLLM, which has no host of its own, and what others have taken over from it. */
const selfHostedGateway: Gateway = {
  fallbackModels: {
    named: ['models', 'fallbacks'],
    // Maps from models to models.
    uncheckable: ['context_window_fallbacks', 'content_policy_fallbacks', 'context_window_fallback_dict'],
  },
}

/** The known gateways. */
export const gateways: readonly Gateway[] = [selfHostedGateway, openrouterGateway]
