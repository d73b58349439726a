import packageJson from '../../package.json' with { type: 'json' }

/** Corral's own version. */
export const version: string = packageJson.version
