/** The version that the build stamped, from package.json. Run from source, there is none. */
declare const driftlessVersion: string | undefined;

export const version: string = typeof driftlessVersion === 'string' ? driftlessVersion : 'source';
