/* encode/autoencoder.c: the modality's descriptor through a narrow code and back; the code is the vector. */
#include "encode/compressor.h"

#define SUMMARY "a denoising autoencoder over the modality's descriptor, trained on the catalogue"

COMPRESSOR_KIND(autoencoder, image, MODALITY_IMAGE, "autoencoder", SUMMARY, false)
COMPRESSOR_KIND(autoencoder, audio, MODALITY_AUDIO, "autoencoder", SUMMARY, false)
COMPRESSOR_KIND(autoencoder, video, MODALITY_VIDEO, "autoencoder", SUMMARY, false)
