import { providerDefinitions } from '../../src/providers/index.ts'

/** The definitions of inference, but for those that are packages of their own. */
export const inferenceDefinitions = providerDefinitions.filter((definition) => definition.api === 'inference')
