/* encode/vae.c: the same with a code that is drawn (Kingma & Welling 2014): near codes are made to mean like things.
 * The vector is the code's mean. */
#include "encode/compressor.h"

#define SUMMARY "a variational autoencoder over the modality's descriptor, trained on the catalogue"

COMPRESSOR_KIND(vae, image, MODALITY_IMAGE, "vae", SUMMARY, true)
COMPRESSOR_KIND(vae, audio, MODALITY_AUDIO, "vae", SUMMARY, true)
COMPRESSOR_KIND(vae, video, MODALITY_VIDEO, "vae", SUMMARY, true)
