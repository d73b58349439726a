import type { Distribution } from './distribution.ts'
import { starterText } from './starter.ts'

export const builtInDistributions: readonly Distribution[] = [
  {
    name: 'starter',
    description:
      'Every provider whose key or URL is in the environment, local servers (Ollama, LM Studio, vLLM, llama.cpp) on their default ports, and the embedded model.',
    text: starterText,
  },
]
