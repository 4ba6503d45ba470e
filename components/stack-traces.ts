// The SDK takes a stack trace for every resource and promise, and Pulumi has each translated by source maps: a tenth of a preview.
// Node strips the types of this program in place, so there is nothing to translate, and the positions stay the same.
Reflect.deleteProperty(Error, "prepareStackTrace");
