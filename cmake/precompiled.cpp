// Nothing of its own: the target that precompiled.h belongs to needs a file.
